"""Bytes <-> messages: DECTRIS Stream V2 with the Jungfraujoch extensions (CBOR, RFC 8949 and 8746)."""
