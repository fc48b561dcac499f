"""Raw files → landing → typed, split, deduplicated rows."""
