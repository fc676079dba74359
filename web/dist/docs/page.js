'use strict';

// The renderer puts the HTML of descriptions into the page as text, after its own
// sanitizer (DOMPurify). Where trusted types are enforced that needs a policy; this
// one lets pass what holds nothing that runs or loads. There is none for scripts
// and their URLs, so those stay refused.
const active = /<\s*(script|iframe|object|embed|base|link|meta|style)\b|[\s"'/]on[a-z]+\s*=|javascript:/i;
if (window.trustedTypes) {
  window.trustedTypes.createPolicy('default', {
    createHTML: (html) => (active.test(html) ? null : html),
  });
}

// The style sheet's dark colours hang on a class, and follow what the reader prefers.
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

const ui = window.SwaggerUIBundle({
  url: '../openapi.json',
  dom_id: '#reference',
  layout: 'BaseLayout',
  presets: [window.SwaggerUIBundle.presets.apis],
  validatorUrl: null, // it would ask another host
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false, // a token is gone with its page
});

// It makes up samples of what has no example, and knows no base64url. The patterns
// of the contract give text that is base64url already.
ui.fn.jsonSchema202012.sampleEncoderAPI('base64url', (text) => text);
