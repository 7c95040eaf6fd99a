"""The bytes: blobs under keys on a disk or an object store; knows no user and no table."""
