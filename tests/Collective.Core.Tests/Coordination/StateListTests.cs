using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>The digest by which the master knows the last sync again: of all that peers have to agree on, in whatever order they list it.</summary>
[TestFixture]
internal sealed class StateListTests
{
    private static readonly StateEntry A = new("a", DataType.Float32, 4, MayDiffer: false, new StateHash(7));
    private static readonly StateEntry B = new("b", DataType.Float32, 4, MayDiffer: false, new StateHash(9));

    private static IEnumerable<StateEntry> Others =>
        [A with { Key = "c" }, A with { DataType = DataType.Int32 }, A with { Count = 5 }, A with { MayDiffer = true }, A with { Hash = new StateHash(8) }];

    [TestCaseSource(nameof(Others))]
    public void Digest_tells_lists_apart(StateEntry other)
    {
        Assert.That(DigestOf(B, other), Is.Not.EqualTo(DigestOf(B, A)));
        Assert.That(DigestOf(other), Is.Not.EqualTo(DigestOf(A)));
    }

    [Test]
    public void Digest_does_not_depend_on_the_order() => Assert.That(DigestOf(A, B), Is.EqualTo(DigestOf(B, A)));

    private static UInt128 DigestOf(params StateEntry[] entries) => StateList.Of(entries, [])!.Digest;
}
