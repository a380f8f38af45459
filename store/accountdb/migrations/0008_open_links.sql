-- Links that have ended stay, to answer last reports. Nothing else looks at them,
-- however many they become.
CREATE INDEX open_links_by_account ON links (account) WHERE state <> 'closed';
CREATE INDEX open_links_by_device ON links (device) WHERE state <> 'closed';
