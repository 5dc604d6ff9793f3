"""The roster: identities, entries, rules, filters, and how Redis keeps them."""
