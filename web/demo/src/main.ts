import { encode } from 'uqr';

document.querySelector('main')?.append(String(encode('x').size));
