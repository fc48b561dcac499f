"""A shop's own catalogue: descriptions for products that were held out, by what a night would train."""
