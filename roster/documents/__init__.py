"""Who a person is.

Documents, their spellings, check digits and names, and the tokens made of them; nothing here
knows what is stored, or where.
"""
