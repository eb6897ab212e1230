/** NOTIFY on it says that something which proxies must hear of has changed; a hint without content. */
export const changesChannel = 'sallyport_changes';
