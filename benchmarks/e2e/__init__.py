"""The E2E NLG challenge (Novikova et al. 2017): its files, what its texts say, its measures."""
