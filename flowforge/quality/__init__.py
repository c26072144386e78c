"""Quality rules: from what a user wrote to SQL, and from a batch to what each rule found in it."""
