"""For those who maintain lists: whole files are read, validated, merged, and made up."""
