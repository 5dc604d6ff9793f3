"""The audit of one service process: records kept, sealed and written; asked for; proved whole."""
