"""The OpenAPI document, and the page that shows it; no request is read by it."""
