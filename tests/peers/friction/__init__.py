"""Friction events of real sessions, held against models, clients and a proxy that are not thoth's."""
