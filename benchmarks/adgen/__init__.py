"""AdvertiseGen (Shao et al. 2019): from clothing attributes to Chinese ad copy."""
