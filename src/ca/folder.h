/*
 * A folder of identities that were made elsewhere, as `hauberk ca issue --out` writes it:
 *
 *     NAME.pem            a chain, leaf first, with ...
 *     NAME-key.pem        ... its key; NAME is free, the identity is read from the leaf
 *     bundle.pem          roots of the trust domain of the leaves
 *     crl.pem             optional: its revocation lists
 *     TD.bundle.pem       optional: roots of the trust domain TD; before bundle.pem if both fit
 *     TD.crl.pem          optional: its revocation lists
 *
 * Other files are left alone. Files are replaced by rename, or written in any order: a pair whose
 * key and certificate do not belong together, or that cannot be read whole, is passed over until it
 * can. Among several certificates of one identity the one that ends last is used.
 */
#pragma once

enum { HBK_CA_FOLDER_FILES_MAX = 4096 };
