import { addressList } from './addresses.ts';

export const panosIp = addressList({
  name: 'panos-ip',
  title: 'PAN-OS external dynamic list of type IP list',
  readers:
    'PAN-OS; it takes 50,000 to 150,000 addresses over all lists, by model, and passes over the rest; no lines of comments',
  comment: null,
});
