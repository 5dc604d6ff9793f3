"""How commands speak to people: in which language, and a text's words in the other one.

No word of what one of them has to say lives here, but their helps and the roster's own faults.
"""
