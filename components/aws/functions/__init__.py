"""Source of the stack's Lambda functions, a folder each; they run on AWS alone and import nothing of Railyard."""
