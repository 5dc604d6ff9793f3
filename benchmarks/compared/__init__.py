"""The services that Clearway is compared with; nothing of Clearway is imported here."""
