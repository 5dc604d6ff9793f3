"""What services are asked, and the one right answer to it; nothing is measured here."""
