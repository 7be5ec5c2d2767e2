"""Pages and figures that tell what forecasts are worth: HTML that needs nothing else, SVG, JSON."""
