"""What runs when: cron lines, nights that are due, the documents that deploy them."""
