"""A stranger's program on a ledger's file: the standard library's SQLite, and none of our settings.

It runs as a process of its own: two copies of SQLite must not open one file in one process.
Usage: stranger.py FILE STATEMENT; prints what became of the statement.
"""

import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA recursive_triggers=OFF")
connection.execute("PRAGMA foreign_keys=OFF")
connection.execute("PRAGMA ignore_check_constraints=ON")
try:
    print("done", connection.execute(sys.argv[2]).rowcount)
except sqlite3.Error as error:
    print("refused", error)
connection.close()
