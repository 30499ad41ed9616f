import { addressList } from './addresses.ts';

export const juniper = addressList({
  name: 'juniper',
  title: 'Juniper SRX dynamic-address feed',
  readers: 'Juniper SRX feed-server; no lines of comments',
  comment: null,
});
