"""Reports on forecasts: HTML pages that need no other file, SVG pictures, JSON."""
