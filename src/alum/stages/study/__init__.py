"""Studies: arms × tasks × seeds, trained, measured and compared, into a ledger that grows."""
