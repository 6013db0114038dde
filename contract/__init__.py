"""The face that every app shares: errors, payload reading, timestamps and pages of `/api/v2`.

Floor 0 of the house: every app may import it, it imports none of them.
"""
