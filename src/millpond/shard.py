"""A token shard as a file: its index, and verified random access to its rows.

A shard is a plain tar that `webdataset` reads: each member `NNNNNN.npy` is one sample, a NumPy array of
shape (rows, context_length). Beside `name.tar` lies `name.index.json`, a `ShardIndex`: where each sample's
array data starts, its shape and a digest, so that rows are read in any order from a memory map and damage
is found before a sample is handed out.
"""
