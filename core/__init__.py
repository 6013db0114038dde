"""What every app stands on: API conventions, process runtime, bulk SQL. Floor 0: it imports no app."""
