"""What leaves a ledger, proved: lines for who checks them, and the program to do it."""
