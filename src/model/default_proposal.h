/*
 * The IKE proposal with ML-KEM that a peer without proposals of its own has (compile_vpn.c). No configured one can have its name.
 */
#ifndef MODEL_DEFAULT_PROPOSAL_H
#define MODEL_DEFAULT_PROPOSAL_H

#define IKE_PROPOSAL_DEFAULT_HYBRID "default with ML-KEM"

#endif
