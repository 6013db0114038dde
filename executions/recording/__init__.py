"""How outcomes are stored: what is recorded, the statements that write it, and the thread that does."""
