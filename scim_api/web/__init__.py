"""What every HTTP interface shares: a request's context, messages, guards and its log entry."""
