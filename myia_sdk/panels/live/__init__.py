"""What keeps a panel up to date: one reader of events, controllers, views, patches."""
