"""What the loader's commands say to people, in both languages; nothing here counts or decides."""
