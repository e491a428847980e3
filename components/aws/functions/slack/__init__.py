"""The function that SNS calls to put an alarm into a Slack channel."""
