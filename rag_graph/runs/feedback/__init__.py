"""What people say of answers, kept beside the library."""
