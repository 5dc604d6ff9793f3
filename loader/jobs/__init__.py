"""The jobs on whole files, each from its start to its report: load, verify, sign, watch."""
