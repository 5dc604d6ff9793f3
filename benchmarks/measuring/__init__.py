"""What every benchmark measures with: stages, clients, figures, plots; nothing about people."""
