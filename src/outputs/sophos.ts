import { addressList } from './addresses.ts';

export const sophos = addressList({
  name: 'sophos',
  title: 'Sophos Firewall third-party threat feed of IP addresses',
  readers: 'Sophos Firewall; no lines of comments',
  comment: null,
});
