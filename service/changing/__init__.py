"""From a change that was sent to one that is stored, safe and told to every process; no HTTP."""
