"""Short producer scripts: build a sweep, submit it, wait, read its rows. Workers must run (`sweep up`)."""
