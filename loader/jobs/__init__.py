"""The jobs on whole files, each from its start to its report, and what they share.

Here are the lease, the guards and the processes of a load; how a row is read or stored is not.
"""
