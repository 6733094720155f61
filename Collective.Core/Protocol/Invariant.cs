using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Collective.Protocol;

/// <summary>Assertions that stay on in Release. A broken one is a defect of Collective: the daemon exits, a communicator is dead, the host process lives.</summary>
internal static class Invariant
{
    public static void Holds([DoesNotReturnIf(false)] bool condition, [CallerArgumentExpression(nameof(condition))] string expression = "")
    {
        if (!condition)
        {
            throw new InvariantException(expression);
        }
    }
}

/// <summary>Names the expression that should have held.</summary>
internal sealed class InvariantException(string expression)
    : Exception($"Internal error in Collective: '{expression}' does not hold. Please report it with this message.");
