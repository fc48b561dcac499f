"""AdvertiseGen (Shao et al. 2019): clothing attributes to Chinese ad copy, its files, its values, its measures."""
