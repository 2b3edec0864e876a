// Package order has gateways changed by a unit of their own, so that a change ends in good order however
// whoever asked for it ends: Place hands an order to clawft-deploy@ID.service and follows it, Work carries it
// out there, and Settle comes after it.
//
// Whoever goes away has seen the change fail, so it is undone: nobody would learn of a success.
package order
