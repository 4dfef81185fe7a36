"""What SQL destinations share: types, quoting, staging, merging, the swap, counts."""
