namespace Collective.Architecture;

/// <summary>One use in compiled code: an outermost type of ours mentions a type or one of its members.</summary>
/// <param name="User">Our type, outermost: <c>Collective.Kernels.Loops`1</c>.</param>
/// <param name="UsedType">The outermost type that is used.</param>
/// <param name="UsedMember">Its member, when code calls or reads one: <c>get_UtcNow</c>; <c>CreateInstance&lt;T&gt;</c> when called with type arguments.</param>
/// <param name="File">Where, if the symbols say it.</param>
internal readonly record struct CompiledReference(string User, string UsedType, string? UsedMember, string? File, int Line)
{
    public string UsedName => UsedMember is null ? UsedType : $"{UsedType}::{UsedMember}";
}
