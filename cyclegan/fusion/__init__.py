"""Arbitrary style transfer: encoders, a fusion module of one table, and a decoder."""
